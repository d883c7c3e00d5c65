-- ARGV from 6: bound of events, dead letters among them, bound of the control lane, then for each item: stream, lane (0
-- events, 1 control, u control and stream-updated),
-- epoch, id (SEQ-N), place without lane, item.
-- Answer: kept, seen, gone, how many puts of holders there were ('0' if none puts), then
-- stream and number of what the bounds kept out.
local maxDepth, maxControl = tonumber(ARGV[6]), tonumber(ARGV[7])
local kept, seen, gone = 0, 0, 0
local queues, order, full = {}, {}, {}

-- behind says where an item stands, if it is behind all that was put: its place without
-- lane and its id; nil if it is not. With a ref it is numbered here.
local function behind(q, at, id, item)
	local high, ref = q.S.hi or padded(0, 0), ''
	if sub(item, 22, 33) ~= NOREF then
		ref = padded(struct.unpack('>I8I4', item, 22))
		local seq, last = sub(at, 1, 16), sub(high, 1, 16)
		if seq < last or seq == last and ref <= (q.S.rf or '') then return nil end
		local n = 0
		if seq == last then n = tonumber(sub(high, 17)) + 1 end
		at = padded(tonumber(seq), n)
		id = idOf('2' .. at)
	elseif at <= high then
		return nil
	end
	set(q, 'hi', at)
	set(q, 'rf', ref)
	return at, id
end

local function putEvent(q, id, at, item)
	at, id = behind(q, at, id, item)
	if not at then
		seen = seen + 1
	elseif q.EVENTS >= maxDepth then
		full[q.ID] = (full[q.ID] or 0) + 1
	elseif call('HSETNX', q.ids, jtiOf(item), '2' .. at) == 0 then
		seen = seen + 1 -- the same SET waits already
	else
		call('XADD', q.q, id, 'i', item)
		local ref = refOf('2' .. at, item)
		if ref then call('ZADD', q.ref, 0, ref) end
		q.EVENTS, q.CAUSE = q.EVENTS + 1, true
		kept = kept + 1
	end
end

local highest = ''
for i = 8, #ARGV, 6 do
	local id, lane = ARGV[i], ARGV[i + 1]
	local q = queues[id]
	if q == nil then
		q = open(id) or false
		queues[id] = q
		if q then
			order[#order + 1] = q
			q.EVENTS = call('XLEN', q.q) + call('HLEN', q.small) - num(q, 'nc') + call('ZCARD', q.deads)
		end
	end
	if not q or q.S.st == 'd' then
		gone = gone + 1
	elseif lane ~= '0' then
		local what = putControl(q, ARGV[i + 5], lane == 'u', maxControl)
		if what == 'kept' then kept = kept + 1
		elseif what == 'seen' then seen = seen + 1
		else full[id] = (full[id] or 0) + 1 end
	elseif ARGV[i + 2] ~= q.S.ep then
		gone = gone + 1
	else
		putEvent(q, ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
		if ARGV[i + 4] > highest then highest = ARGV[i + 4] end
	end
end
for _, q in ipairs(order) do account(q) end
if highest ~= '' then raise(int(tonumber(sub(highest, 1, 16)))) end
wake()
local report = {kept, seen, gone, TOKEN and call('HINCRBY', PART, 'puts', 1) or '0'}
for id, n in pairs(full) do
	report[#report + 1] = id
	report[#report + 1] = n
end
return answered(report)
