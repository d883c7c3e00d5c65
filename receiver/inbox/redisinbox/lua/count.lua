-- Answer: waiting, running, failing, dead, when the oldest was received (empty: none).
local oldest = redis.call('ZRANGE', WAITING, 0, 0, 'WITHSCORES')[2]
return {
	redis.call('ZCARD', WAITING), redis.call('ZCOUNT', OUT, '(' .. int(now), '+inf'), redis.call('HLEN', TRIES), redis.call('ZCARD', DEADS),
	oldest and int(oldest) or '',
}
