-- ARGV from 6: stream, after which number, how many. Answer: 'none', or for each dead
-- letter: number, place, item, attempts, code, text, when (ns).
if call('EXISTS', P .. 's:' .. ARGV[6]) == 0 then return 'none' end
local dead, deads = P .. 'dead:' .. ARGV[6], P .. 'deads:' .. ARGV[6]
local list = call('ZRANGE', deads, '(' .. ARGV[7], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[8], 'WITHSCORES')
local letters = {}
for i = 1, #list, 2 do
	local letter = cmsgpack.unpack(call('HGET', dead, list[i]))
	table.insert(letter, 1, list[i + 1])
	letters[#letters + 1] = letter
end
return letters
