-- ARGV from 6: before when (ns), how many. Answer: stream and number of dead letters made,
-- in turn.
local before, room = tonumber(ARGV[6]), tonumber(ARGV[7])
local list = {}

-- expire buries what was added before and is not out: the others, then the events, which
-- were added in their order.
local function expire(q)
	local n = 0
	local old = call('ZRANGE', q.age, '-inf', '(' .. ARGV[6], 'BYSCORE')
	table.sort(old) -- in their order on the queue
	for _, place in ipairs(old) do
		if room == 0 then break end
		if not call('ZSCORE', q.out, place) then
			bury(q, place, load(q, place), 'expired', '')
			n, room = n + 1, room - 1
		end
	end
	local from = '-'
	while room > 0 do
		local page = call('XRANGE', q.q, from, '+', 'COUNT', 64)
		for _, entry in ipairs(page) do
			local item = entry[2][2]
			if addedOf(item) >= before or room == 0 then return n end
			local place = eventPlace(entry[1])
			if not call('ZSCORE', q.out, place) then
				bury(q, place, item, 'expired', '')
				n, room = n + 1, room - 1
			end
		end
		if #page < 64 then break end
		from = '(' .. page[64][1]
	end
	return n
end

local skip = 0 -- streams whose old items are all out
for _ = 1, 256 do
	if room == 0 then break end
	local id = call('ZRANGE', P .. 'ages', '-inf', '(' .. ARGV[6], 'BYSCORE', 'LIMIT', skip, 1)[1]
	if not id then break end
	local q = open(id)
	if not q then
		call('ZREM', P .. 'ages', id)
	else
		local n = expire(q)
		account(q)
		if n > 0 then
			list[#list + 1] = id
			list[#list + 1] = n
		end
		local age = call('ZSCORE', P .. 'ages', id)
		if age and tonumber(age) < before then skip = skip + 1 end
	end
end
wake()
return answered(list)
