-- KEYS: the streams of an owner. ARGV: stream and when its place was reserved (0: whenever),
-- in turn. A place that was reserved again meanwhile stays.
for i = 1, #ARGV, 2 do
	if ARGV[i + 1] == '0' or redis.call('ZSCORE', KEYS[1], ARGV[i]) == ARGV[i + 1] then
		redis.call('ZREM', KEYS[1], ARGV[i])
	end
end
return 'ok'
