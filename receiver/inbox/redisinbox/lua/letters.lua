-- ARGV from 3: after which number, how many, how many bytes.
-- Answer: number, letter, and so on.
local answer, room = {}, tonumber(ARGV[5])
for _, seq in ipairs(redis.call('ZRANGE', DEADS, '(' .. ARGV[3], '+', 'BYLEX', 'LIMIT', 0, ARGV[4])) do
	local letter = redis.call('HGET', DEAD, seq)
	if room < #letter and #answer > 0 then break end
	room = room - #letter
	answer[#answer + 1] = seq
	answer[#answer + 1] = letter
end
return answer
