-- ARGV from 6: how many streams to name. Answer: items, leased, dead, when the oldest was
-- added (8 bytes, ns), then for each stream: its id and the same four.
for _, id in ipairs(call('ZRANGE', P .. 'due', '-inf', int(now), 'BYSCORE', 'LIMIT', 0, 256)) do
	local q = open(id)
	if q then
		q.CAUSE = true
		account(q)
	else
		call('ZREM', P .. 'due', id)
	end
end
wake()
local function bare(id) return setmetatable({ID = id, S = {}, DIRTY = {}}, names) end
local sums = call('HMGET', PART, 'items', 'leased', 'dead')
local list = {sums[1] or '0', sums[2] or '0', sums[3] or '0', ''}
local id = call('ZRANGE', P .. 'ages', 0, 0)[1]
if id then list[4] = oldestAt(bare(id)) end
if ARGV[6] ~= '0' then
	for _, id in ipairs(call('ZRANGE', P .. 'depths', 0, int(ARGV[6] - 1), 'REV')) do
		local counts = call('HMGET', P .. 's:' .. id, 'ni', 'nl', 'nd')
		list[#list + 1] = id
		for i = 1, 3 do list[#list + 1] = counts[i] or '0' end
		list[#list + 1] = oldestAt(bare(id))
	end
end
return list
