-- Answer: state, ms until it expires, and so on, the first to expire first.
local answer = redis.call('ZRANGE', STATES, '(' .. int(now), '+inf', 'BYSCORE', 'WITHSCORES')
for i = 2, #answer, 2 do answer[i] = int(answer[i] - now) end
return answer
