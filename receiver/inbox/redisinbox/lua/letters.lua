-- ARGV from 5: after which number, how many, how many bytes.
-- Answer: number, letter, and so on.
local answer, room = {}, tonumber(ARGV[7])
for _, seq in ipairs(redis.call('ZRANGE', DEADS, '(' .. ARGV[5], '+', 'BYLEX', 'LIMIT', 0, ARGV[6])) do
	local letter = redis.call('HGET', DEAD, seq)
	if room < #letter and #answer > 0 then break end
	room = room - #letter
	answer[#answer + 1] = seq
	answer[#answer + 1] = letter
end
return answer
