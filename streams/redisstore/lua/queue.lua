-- The queue of a stream. A place says where an item stands: 27 digits, of the lane (0
-- control, 1 resent, 2 events), of seq (of arrival, in control) and of n (1 in control: a
-- stream-updated item). Places in the order of text are the order of Take.
--
-- Take goes through the events once: the cursor (cu) is the last place that it came to.
-- What is before it and not out is in one of two places: an item without an order key in
-- `back`, one with a key in `parked`, by key, and if no earlier item of the key is out,
-- the first one of the key in `back` too. So `back` is what can be handed out before the
-- cursor goes on, and what is blocked is never looked at. Control and resent items are
-- before the cursor always.
--
-- An item is one string, made in item.go: 'k' if it has an order key ('-': none, 'r': none,
-- resent), 12 bytes that stand for the key, when it was added (8 bytes, ns), its ref (8 and
-- 4), its epoch (8), the length of its jti (2), the jti, and what no script looks at.
local function keyOf(item) return sub(item, 1, 1) == 'k' and sub(item, 2, 13) or '' end
local function addedOf(item) return (struct.unpack('>I8', item, 14)) end
local function jtiOf(item) return sub(item, 44, 43 + struct.unpack('>I2', item, 42)) end
local NOREF = string.rep('\0', 12)

-- nanos is the time now in 8 bytes.
local function nanos()
	local low = micros % 4294967296 * 1000
	return struct.pack('>I4I4', (micros - micros % 4294967296) / 4294967296 * 1000 + math.floor(low / 4294967296), low % 4294967296)
end

local era, tok = unpack(call('HMGET', PART, 'era', 'tok'))
era, tok = era or '0', tonumber(tok or 0)

local function padded(seq, n) return string.format('%016d%010d', seq, n) end
local function eventPlace(id)
	local seq, n = match(id, '^(%d+)-(%d+)$')
	return '2' .. padded(tonumber(seq), tonumber(n))
end
local function idOf(place) return int(tonumber(sub(place, 2, 17))) .. '-' .. int(tonumber(sub(place, 18))) end

-- first returns the first place of a key in a set of KEY PLACE.
local function first(set, d)
	local member = call('ZRANGE', set, '[' .. d .. '0', '[' .. d .. '3', 'BYLEX', 'LIMIT', 0, 1)[1]
	return member and sub(member, 13)
end

local function set(q, field, value)
	if q.S[field] ~= value then
		q.S[field] = value
		q.DIRTY[field] = value
	end
end
local function num(q, field) return tonumber(q.S[field] or 0) end

-- unhead takes the first item of a key out of back; head puts it there if it is free.
local function unhead(q, d)
	local place = first(q.parked, d)
	if place then call('ZREM', q.back, place .. d) end
end
local function head(q, d)
	local place = first(q.parked, d)
	if not place then return end
	local out = first(q.hold, d)
	if not out or place < out then call('ZADD', q.back, 0, place .. d) end
end

-- park lets an item wait for its turn before the cursor.
local function park(q, place, d)
	if d == '' then
		call('ZADD', q.back, 0, place)
		return
	end
	unhead(q, d)
	call('ZADD', q.parked, 0, d .. place)
	q.PARKED = true
	head(q, d)
end

local function isParked(q)
	if q.PARKED == nil then q.PARKED = call('EXISTS', q.parked) == 1 end
	return q.PARKED
end

-- ahead says whether Take has not come to the place yet.
local function ahead(q, place) return place > (q.S.cu or '2') end

-- takenBy is what `taken` has of an item: its key and by which mark it was taken.
local function takenBy(d) return (d == '' and '-' or 'k' .. d) .. ARGV[5] end
local function markOf(taken) return sub(taken, 1, 1) == 'k' and sub(taken, 14) or sub(taken, 2) end

-- giveBack returns an item that is out to its place.
local function giveBack(q, place)
	local taken = call('HGET', q.taken, place)
	call('ZREM', q.out, place)
	call('HDEL', q.taken, place)
	q.CAUSE = true
	local d = taken and sub(taken, 1, 1) == 'k' and sub(taken, 2, 13) or ''
	if d == '' then
		if not ahead(q, place) then call('ZADD', q.back, 0, place) end
		return
	end
	unhead(q, d)
	call('ZREM', q.hold, d .. place)
	if not ahead(q, place) then
		call('ZADD', q.parked, 0, d .. place)
		q.PARKED = true
	end
	head(q, d)
end

-- void says whether who took an item by this mark has been replaced.
local function void(mark)
	if sub(mark, 1, 1) == 't' then return tonumber(sub(mark, 2)) < tok end
	local gen, node = match(mark, '^n(%d+) (.*)$')
	return gen and tonumber(gen) < tonumber(call('HGET', P .. 'nodes', node) or 0)
end

-- tick ends the leases that are over, and those of who was replaced: some of them, where
-- there are very many, and LATE says that there are more. What is still out then holds back
-- what is behind it, as before.
local MANY = 1024
local function tick(q)
	local ended = call('ZRANGE', q.out, '-inf', now, 'BYSCORE', 'LIMIT', 0, MANY)
	for _, place in ipairs(ended) do giveBack(q, place) end
	q.LATE = #ended == MANY
	if q.LATE or (q.S.er or '0') == era then return end
	q.CAUSE = true
	-- The scan of an era is in `es`, how far it has come in `ec`.
	local cursor, room = q.S.es == era and q.S.ec or '0', MANY
	set(q, 'es', era)
	repeat
		local page = call('HSCAN', q.taken, cursor, 'COUNT', 256)
		cursor = page[1]
		for i = 1, #page[2], 2 do
			if void(markOf(page[2][i + 1])) then giveBack(q, page[2][i]) end
		end
		room = room - #page[2] / 2
	until cursor == '0' or room <= 0
	set(q, 'ec', cursor)
	if cursor == '0' then
		set(q, 'er', era)
	else
		q.LATE = true
	end
end

-- open returns the queue of a stream, nil if there is no such stream. Its fields in small
-- letters are its keys; S is the stream's hash, DIRTY what changed in it, CAUSE whether there
-- may be something to take, PARKED and TRIED whether those keys are there (nil: not known),
-- LATE whether there is more that returns.
local names = {__index = function(q, kind)
	if string.upper(kind) == kind then return nil end
	local key = P .. kind .. ':' .. q.ID
	rawset(q, kind, key)
	return key
end}
local function open(id)
	local flat = call('HGETALL', P .. 's:' .. id)
	if #flat == 0 then return nil end
	local state = {}
	for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end
	local q = setmetatable({ID = id, S = state, DIRTY = {}, CAUSE = false}, names)
	tick(q)
	return q
end

-- load returns the item at a place; nil if there is none.
local function load(q, place)
	if sub(place, 1, 1) == '2' then
		local id = idOf(place)
		local entry = call('XRANGE', q.q, id, id)[1]
		return entry and entry[2][2]
	end
	return call('HGET', q.small, place) or nil
end

local function isTried(q)
	if q.TRIED == nil then q.TRIED = call('EXISTS', q.tries) == 1 end
	return q.TRIED
end

-- answer is what callers are told of an item: place, item, attempts.
local function answer(q, place, item)
	return {place, item, isTried(q) and call('HGET', q.tries, jtiOf(item)) or '0'}
end

-- refOf returns what `ref` has of an item, nil if it has nothing.
local function refOf(place, item)
	local ref = sub(item, 22, 33)
	if ref ~= NOREF then return string.format('%016d:', (struct.unpack('>I8', ref))) .. place end
	if sub(place, 1, 1) == '1' then return sub(place, 2, 17) .. ':' .. place end
end

-- keepSmall writes an item of the lanes control and resent.
local function keepSmall(q, place, item)
	call('HSET', q.small, place, item)
	call('ZADD', q.age, int(addedOf(item)), place)
	call('HSET', q.ids, jtiOf(item), place)
	if sub(place, 1, 1) == '0' then
		set(q, 'nc', int(num(q, 'nc') + 1))
	else
		call('ZADD', q.ref, 0, refOf(place, item))
	end
end

-- arrive puts an item behind all others of the control lane.
local function arrive(q, item, updated)
	local n = num(q, 'ar') + 1
	set(q, 'ar', int(n))
	local place = '0' .. padded(n, updated and 1 or 0)
	keepSmall(q, place, item)
	park(q, place, keyOf(item))
	q.CAUSE = true
end

local function known(q, jti) return call('HEXISTS', q.ids, jti) == 1 or call('HEXISTS', q.dead, jti) == 1 end

-- leave takes up to 256 items off the queue.
local function leave(q, places, items)
	if #places == 0 then return end
	local keyed, free, streamed, jtis, keys = {}, {}, {}, {}, {}
	for i, place in ipairs(places) do
		local item = items[i]
		local d, lane = keyOf(item), sub(place, 1, 1)
		if d == '' then
			free[#free + 1] = place
		else
			keyed[#keyed + 1] = d .. place
			keys[d] = true
		end
		if lane == '2' then
			streamed[#streamed + 1] = idOf(place)
		else
			call('HDEL', q.small, place)
			call('ZREM', q.age, place)
			if lane == '0' then set(q, 'nc', int(num(q, 'nc') - 1)) end
		end
		local ref = refOf(place, item)
		if ref then call('ZREM', q.ref, ref) end
		jtis[i] = jtiOf(item)
	end
	local parked = #keyed > 0 and isParked(q)
	if parked then
		for d in pairs(keys) do unhead(q, d) end
		call('ZREM', q.parked, unpack(keyed))
	end
	if call('ZREM', q.out, unpack(places)) > 0 then
		call('HDEL', q.taken, unpack(places))
		if #keyed > 0 then call('ZREM', q.hold, unpack(keyed)) end
	end
	if parked then
		for d in pairs(keys) do head(q, d) end
	end
	if #free > 0 then call('ZREM', q.back, unpack(free)) end
	if #streamed > 0 then call('XDEL', q.q, unpack(streamed)) end
	call('HDEL', q.ids, unpack(jtis))
	if isTried(q) then call('HDEL', q.tries, unpack(jtis)) end
	q.CAUSE = true
end

-- bury makes a dead letter of an item: its place, itself, its attempts, code, text and when
-- (ns).
local function bury(q, place, item, code, text)
	local tries = answer(q, place, item)[3]
	leave(q, {place}, {item})
	local n, jti = num(q, 'dn') + 1, jtiOf(item)
	set(q, 'dn', int(n))
	call('HSET', q.dead, jti, cmsgpack.pack({place, item, tries, code, text, int(micros) .. '000'}))
	call('ZADD', q.deads, int(n), jti)
end

-- drop erases everything on the queue, or all but stream-updated items.
local function drop(q, keepUpdated)
	local kept = {}
	if keepUpdated then
		local small = call('HGETALL', q.small)
		for i = 1, #small, 2 do
			local place, item = small[i], small[i + 1]
			if sub(place, 1, 1) == '0' and sub(place, -1) == '1' then
				kept[#kept + 1] = {place, item, call('ZSCORE', q.out, place), call('HGET', q.taken, place), answer(q, place, item)[3]}
			end
		end
	end
	local dropped = call('XLEN', q.q) + call('HLEN', q.small) - #kept
	call('UNLINK', q.q, q.ids, q.small, q.age, q.out, q.taken, q.hold, q.parked, q.back, q.tries, q.ref)
	q.PARKED, q.TRIED = nil, nil
	set(q, 'nc', '0')
	for _, k in ipairs(kept) do
		local place, item, out, taken, tries = unpack(k, 1, 5)
		keepSmall(q, place, item)
		if tries ~= '0' then call('HSET', q.tries, jtiOf(item), tries) end
		local d = keyOf(item)
		if out then
			call('ZADD', q.out, out, place)
			call('HSET', q.taken, place, taken)
			if d ~= '' then call('ZADD', q.hold, 0, d .. place) end
		else
			park(q, place, d)
		end
	end
	q.CAUSE = true
	return dropped
end

-- oldest returns the item that was added first, of the events the first of all; nil if there
-- is none.
local function oldest(q)
	local item
	local place = call('ZRANGE', q.age, 0, 0)[1]
	if place then item = load(q, place) end
	local entry = call('XRANGE', q.q, '-', '+', 'COUNT', 1)[1]
	if entry then
		local event = entry[2][2]
		if not item or addedOf(event) < addedOf(item) then item = event end
	end
	return item
end
local function oldestAt(q)
	local item = oldest(q)
	return item and sub(item, 14, 21) or ''
end

local function backsOff(q)
	local due = num(q, 'du')
	return due > now and due <= now + 86400000
end

-- account brings what is counted and looked up for the partition up to date. The stream is
-- ready if it is pushed to and there was a cause.
local ACCOUNT = {{'ni', 'items', 'depths'}, {'nl', 'leased'}, {'nd', 'dead', 'deads'}}
local woken = {}
local function account(q)
	local items = call('XLEN', q.q) + call('HLEN', q.small)
	local counts = {items, call('ZCARD', q.out), call('ZCARD', q.deads)}
	for i, c in ipairs(ACCOUNT) do
		local delta = counts[i] - num(q, c[1])
		if delta ~= 0 then
			set(q, c[1], int(counts[i]))
			call('HINCRBY', PART, c[2], int(delta))
			if c[3] then
				if counts[i] > 0 then call('ZADD', P .. c[3], counts[i], q.ID) else call('ZREM', P .. c[3], q.ID) end
			end
		end
	end
	local old = items > 0 and oldest(q)
	if old then
		call('ZADD', P .. 'ages', int(addedOf(old)), q.ID)
	else
		call('ZREM', P .. 'ages', q.ID)
	end
	local due = call('ZRANGE', q.out, 0, 0, 'WITHSCORES')[2]
	due = due and tonumber(due)
	if backsOff(q) and (not due or num(q, 'du') < due) then due = num(q, 'du') end
	if due then call('ZADD', P .. 'due', int(due), q.ID) else call('ZREM', P .. 'due', q.ID) end
	if q.CAUSE and items > counts[2] then
		if q.S.pu == '1' then call('ZADD', P .. 'ready', 'NX', int(now), q.ID) end
		-- A sender is where the partition is held: there it is known already.
		if q.S.pu ~= '1' or ARGV[4] == '' then woken[#woken + 1] = q.ID end
	end
	local dirty = {}
	for field, value in pairs(q.DIRTY) do
		dirty[#dirty + 1] = field
		dirty[#dirty + 1] = value
	end
	if #dirty > 0 then call('HSET', q.s, unpack(dirty)) end
	q.DIRTY = {}
end

-- wake tells all processes which streams have something to take.
local function wake()
	if #woken > 0 then
		local prefix, number = match(P, '^(.*){p(%d+)}:$')
		call('PUBLISH', prefix .. 'wake:streams', number .. ' ' .. table.concat(woken, ' '))
	end
end
