-- ARGV from 6: stream, '1' if there is a health, the health (empty: a healthy stream), ms
-- until it is due (0: it is), then for each outcome: jti, verdict (0 delivered, 1 refused, 2 failed, 3
-- released), code, text, ms for which it stays hidden.
-- Answer: 'none', or the items that left or returned.
local q = open(ARGV[6])
if not q then return answered('none') end
local items = {}

local function hide(q, place, item, ms)
	local d = keyOf(item)
	if call('ZSCORE', q.out, place) then giveBack(q, place) end
	if ahead(q, place) then
		if place > (q.S.ah or '') then set(q, 'ah', place) end
	elseif d == '' then
		call('ZREM', q.back, place)
	else
		unhead(q, d)
		call('ZREM', q.parked, d .. place)
	end
	call('ZADD', q.out, int(later + ms), place)
	call('HSET', q.taken, place, takenBy(d))
	if d ~= '' then
		call('ZADD', q.hold, 0, d .. place)
		unhead(q, d)
		head(q, d)
	end
end

-- The items, most of them next to each other, are read at once.
local jtis = {}
for i = 10, #ARGV, 5 do jtis[#jtis + 1] = ARGV[i] end
local places = #jtis > 0 and call('HMGET', q.ids, unpack(jtis)) or {}
local loaded, least, greatest = {}, nil, nil
for _, place in ipairs(places) do
	if place and sub(place, 1, 1) == '2' then
		if not least or place < least then least = place end
		if not greatest or place > greatest then greatest = place end
	end
end
if least then
	for _, entry in ipairs(call('XRANGE', q.q, idOf(least), idOf(greatest), 'COUNT', 2 * #jtis)) do
		loaded[eventPlace(entry[1])] = entry[2][2]
	end
end
local function itemOf(n)
	if not places[n] then return nil end
	return loaded[places[n]] or load(q, places[n])
end

-- Delivered ones leave first, all at once; what comes back may have waited for them.
local leaving, left, delivered = {}, {}, {}
for n, jti in ipairs(jtis) do
	if ARGV[5 + 5 * n + 1] == '0' then
		local item = not left[jti] and itemOf(n)
		if item then
			left[jti] = true
			leaving[#leaving + 1], delivered[#delivered + 1] = places[n], item
			items[#items + 1] = answer(q, places[n], item)
		elseif call('HDEL', q.dead, jti) == 1 then
			call('ZREM', q.deads, jti)
		end
	end
end
leave(q, leaving, delivered)
for n, jti in ipairs(jtis) do
	local i = 5 + 5 * n
	local verdict, after = ARGV[i + 1], tonumber(ARGV[i + 4])
	local item = verdict ~= '0' and not left[jti] and itemOf(n)
	if item then
		local place = places[n]
		if verdict ~= '3' then
			call('HINCRBY', q.tries, jti, 1)
			q.TRIED = true
		end
		items[#items + 1] = answer(q, place, item)
		if verdict == '1' then
			left[jti] = true
			bury(q, place, item, ARGV[i + 2], ARGV[i + 3])
		elseif verdict == '2' and after > 0 then
			hide(q, place, item, after)
		elseif call('ZSCORE', q.out, place) then
			giveBack(q, place)
		end
	end
end
q.CAUSE = true
if ARGV[7] == '1' then
	if ARGV[8] == '' then call('DEL', q.health) else call('SET', q.health, ARGV[8]) end
	local due = tonumber(ARGV[9])
	set(q, 'du', due > 0 and int(later + due) or '0')
end
account(q)
wake()
return answered(items)
