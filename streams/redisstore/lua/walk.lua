-- What Take does, on queue.lua.
-- walk picks up to max items that can be handed out, in order, and lets the cursor pass
-- what it looked at. It returns places, items and whether there is more to look at.
local SCAN, BYTES = 1024, 1048576
local function blockedAt(q, limits, d, place)
	local out = limits[d]
	if out == nil then
		out = first(q.hold, d) or false
		limits[d] = out
	end
	return out and out < place
end

local function pickBack(q, max, places, items, limits)
	local only = q.S.st ~= 'e' -- of the control lane, stream-updated
	local skip, bytes = 0, 0
	while #places < max and bytes < BYTES do
		local member = call('ZRANGE', q.back, skip, skip)[1]
		if not member or only and sub(member, 1, 1) ~= '0' then break end
		local place, d = sub(member, 1, 27), sub(member, 28)
		if only and sub(place, -1) ~= '1' then
			skip = skip + 1
		else
			local item = load(q, place)
			call('ZREM', q.back, member)
			if item then
				places[#places + 1], items[#items + 1] = place, item
				bytes = bytes + #item
			end
			if d ~= '' then
				call('ZREM', q.parked, d .. place)
				local next = first(q.parked, d)
				if next and not blockedAt(q, limits, d, next) then call('ZADD', q.back, 0, next .. d) end
			end
		end
	end
end

local function walk(q, max)
	local places, items, limits = {}, {}, {}
	pickBack(q, max, places, items, limits)
	if #places >= max or q.S.st ~= 'e' or call('ZCARD', q.back) > 0 then return places, items, false end
	local held = call('EXISTS', q.hold) == 1
	local hidden = q.S.ah or ''
	local from, cursor, seen = '-', q.S.cu, 0
	if cursor then from = '(' .. idOf(cursor) end
	while #places < max and seen < SCAN do
		local want = math.min(math.max(max - #places, 16), 256)
		local page = call('XRANGE', q.q, from, '+', 'COUNT', want)
		for _, entry in ipairs(page) do
			if #places >= max then break end
			local place, item = eventPlace(entry[1]), entry[2][2]
			if place > hidden or not call('ZSCORE', q.out, place) then
				local d = keyOf(item)
				if held and d ~= '' and blockedAt(q, limits, d, place) then
					call('ZADD', q.parked, 0, d .. place)
					q.PARKED = true
				else
					places[#places + 1], items[#items + 1] = place, item
				end
			end
			cursor, seen = place, seen + 1
		end
		if cursor then from = '(' .. idOf(cursor) end
		if #page < want then
			if cursor then set(q, 'cu', cursor) end
			return places, items, false
		end
	end
	if cursor then set(q, 'cu', cursor) end
	return places, items, #places < max
end

-- takeOut leases what was picked until a time.
local function takeOut(q, places, items, ends)
	for begin = 1, #places, 256 do
		local out, taken, hold, keys = {}, {}, {}, {}
		for i = begin, math.min(begin + 255, #places) do
			local place, d = places[i], keyOf(items[i])
			out[#out + 1], out[#out + 2] = ends, place
			taken[#taken + 1], taken[#taken + 2] = place, takenBy(d)
			if d ~= '' then
				hold[#hold + 1], hold[#hold + 2] = 0, d .. place
				keys[d] = true
			end
		end
		call('ZADD', q.out, unpack(out))
		call('HSET', q.taken, unpack(taken))
		if #hold > 0 then
			call('ZADD', q.hold, unpack(hold))
			if isParked(q) then
				for d in pairs(keys) do unhead(q, d) end
			end
		end
	end
end

-- available says whether Take would hand out something: true, false, or nil if there is
-- more to look at. It may let the cursor pass what is blocked.
local function available(q)
	local places, items, again = walk(q, 1)
	if #places == 0 then
		if again then return nil end
		return false
	end
	-- It was not handed out: back it goes.
	park(q, places[1], keyOf(items[1]))
	return true
end
