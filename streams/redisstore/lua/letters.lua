-- ARGV from 6: stream, after which number, how many. Answer: 'none', or for each dead
-- letter: number, code, text, when (ns), item.
if call('EXISTS', P .. 's:' .. ARGV[6]) == 0 then return 'none' end
local dead, deads = P .. 'dead:' .. ARGV[6], P .. 'deads:' .. ARGV[6]
local list = call('ZRANGE', deads, '(' .. ARGV[7], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[8], 'WITHSCORES')
local answer = {}
for i = 1, #list, 2 do
	local letter = cmsgpack.unpack(call('HGET', dead, list[i]))
	answer[#answer + 1] = {list[i + 1], letter[2], letter[3], letter[4], letter[1]}
end
return answer
