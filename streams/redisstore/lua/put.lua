-- ARGV from 6: bound of events, bound of the control lane, then for each item: stream, lane,
-- epoch, id (SEQ-N), place without lane, jti, type, key, subject, added (ns), ref (as a
-- place without lane, or empty), payload.
-- Answer: kept, seen, gone, then stream and number of what the bounds kept out.
local maxDepth, maxControl = tonumber(ARGV[6]), tonumber(ARGV[7])
local kept, seen, gone = 0, 0, 0
local queues, order, full = {}, {}, {}

-- behind says where an item stands, if it is behind all that was put: its place without
-- lane and its id; nil if it is not. With a ref it is numbered here.
local function behind(q, at, id, ref)
	local high = q.S.hi or padded(0, 0)
	if ref ~= '' then
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

local function putEvent(q, i)
	local ref, jti = ARGV[i + 10], ARGV[i + 5]
	local at, id = behind(q, ARGV[i + 4], ARGV[i + 3], ref)
	if not at then
		seen = seen + 1
	elseif q.EVENTS >= maxDepth then
		full[q.ID] = (full[q.ID] or 0) + 1
	elseif call('HSETNX', q.ids, jti, '2' .. at) == 0 then
		seen = seen + 1 -- the same SET waits already
	else
		call('XADD', q.q, id, 'j', jti, 't', typeNumber(ARGV[i + 6]), 'k', ARGV[i + 7],
			'e', ARGV[i + 2], 's', ARGV[i + 8], 'a', ARGV[i + 9], 'r', ref)
		if ref ~= '' then call('ZADD', q.ref, 0, sub(ref, 1, 16) .. ':2' .. at) end
		q.EVENTS, q.CAUSE = q.EVENTS + 1, true
		kept = kept + 1
	end
end

local highest = ''
for i = 8, #ARGV, 12 do
	local id = ARGV[i]
	local q = queues[id]
	if q == nil then
		q = open(id) or false
		queues[id] = q
		if q then
			order[#order + 1] = q
			q.EVENTS = call('XLEN', q.q) + call('HLEN', q.small) - num(q, 'nc')
		end
	end
	if not q or q.S.st == 'd' then
		gone = gone + 1
	elseif ARGV[i + 1] == CONTROL then
		local item = {ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 2], ARGV[i + 8], ARGV[i + 9], '', '', ARGV[i + 11], CONTROL, ''}
		local what = putControl(q, item, maxControl)
		if what == 'kept' then kept = kept + 1
		elseif what == 'seen' then seen = seen + 1
		else full[id] = (full[id] or 0) + 1 end
	elseif ARGV[i + 2] ~= (q.S.ep or '0') then
		gone = gone + 1
	else
		putEvent(q, i)
		if ARGV[i + 4] > highest then highest = ARGV[i + 4] end
	end
end
for _, q in ipairs(order) do account(q) end
if highest ~= '' then raise(int(tonumber(sub(highest, 1, 16)))) end
wake()
local answer = {kept, seen, gone}
for id, n in pairs(full) do
	answer[#answer + 1] = id
	answer[#answer + 1] = n
end
return answered(answer)
