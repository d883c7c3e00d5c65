-- ARGV from 6: stream, '1' if there is a health, the health (empty: a healthy stream), ms
-- until it is due (0: it is), then for each outcome: jti, verdict (0 delivered, 1 refused, 2 failed, 3
-- released), code, text, ms for which it stays hidden.
-- Answer: 'none', or the items that left or returned.
local q = open(ARGV[6])
if not q then return answered('none') end
local items = {}

local function hide(q, place, item, ms)
	local d = digest(item[KEY])
	if call('ZSCORE', q.out, place) then giveBack(q, place) end
	if ahead(q, place) then
		if place > (q.S.ah or '') then set(q, 'ah', place) end
	elseif d == '' then
		call('ZREM', q.back, place)
	else
		unhead(q, d)
		call('ZREM', q.parked, d .. ':' .. place)
	end
	call('ZADD', q.out, int(later + ms), place)
	call('HSET', q.taken, place, d .. ':' .. ARGV[5])
	if d ~= '' then
		call('ZADD', q.hold, 0, d .. ':' .. place)
		unhead(q, d)
		head(q, d)
	end
end

for i = 10, #ARGV, 5 do
	local jti, verdict, after = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 4])
	local place = call('HGET', q.ids, jti)
	local item = place and load(q, place)
	if not item then
		if verdict == '0' and call('HDEL', q.dead, jti) == 1 then call('ZREM', q.deads, jti) end
	else
		if verdict == '1' or verdict == '2' then call('HINCRBY', q.tries, jti, 1) end
		withTries(q, item)
		items[#items + 1] = item
		if verdict == '0' then
			leave(q, place, item)
		elseif verdict == '1' then
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
