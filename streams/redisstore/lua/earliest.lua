-- ARGV from 6: streams. Answer: the lowest number of a record that their queues point at,
-- '0' if there is none.
local least
for i = 6, #ARGV do
	local entry = call('XRANGE', P .. 'q:' .. ARGV[i], '-', '+', 'COUNT', 1)[1]
	local ref = call('ZRANGE', P .. 'ref:' .. ARGV[i], 0, 0)[1]
	for _, seq in ipairs({entry and match(entry[1], '^%d+') or false, ref and sub(ref, 1, 16) or false}) do
		seq = tonumber(seq)
		if seq and (not least or seq < least) then least = seq end
	end
end
return int(least or 0)
