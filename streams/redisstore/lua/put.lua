-- ARGV from 6: bound of events, bound of the control lane, then for each item: stream, lane,
-- epoch, seq, n, jti, type, key, subject, added (ns), ref (its place), payload.
-- A repeat does no harm: it finds the items seen.
-- Answer: kept, seen, gone, then stream and number of what the bounds kept out.
local maxDepth, maxControl = tonumber(ARGV[6]), tonumber(ARGV[7])
local kept, seen, gone = 0, 0, 0
local queues, order, full = {}, {}, {}

-- place raises the highest position of a queue and returns that of the item; nil if it is
-- not behind all that was put.
local function place(q, seq, n, ref)
	local high, highRef = q.S.hi or padded(0, 0), q.S.rf or ''
	local at = padded(seq, n)
	if ref == '' then
		if at <= high then return nil end
	else
		local highSeq = tonumber(sub(high, 1, 16))
		if seq < highSeq or seq == highSeq and ref <= highRef then return nil end
		n = 0
		if seq == highSeq then n = tonumber(sub(high, 17)) + 1 end
		at = padded(seq, n)
	end
	set(q, 'hi', at)
	set(q, 'rf', ref)
	return at, n
end

local function putEvent(q, i)
	local seq, ref, jti = tonumber(ARGV[i + 3]), ARGV[i + 10], ARGV[i + 5]
	local at, n = place(q, seq, tonumber(ARGV[i + 4]), ref)
	if not at then
		seen = seen + 1
	elseif q.EVENTS >= maxDepth then
		full[q.ID] = (full[q.ID] or 0) + 1
	elseif call('HSETNX', q.ids, jti, '2' .. at) == 0 then
		seen = seen + 1 -- the same SET waits already
	else
		call('XADD', q.q, int(seq) .. '-' .. int(n), 'j', jti, 't', typeNumber(ARGV[i + 6]), 'k', ARGV[i + 7],
			'e', ARGV[i + 2], 's', ARGV[i + 8], 'a', ARGV[i + 9], 'r', ref)
		if ref ~= '' then call('ZADD', q.ref, 0, sub(ref, 1, 16) .. ':2' .. at) end
		q.EVENTS, q.CAUSE = q.EVENTS + 1, true
		kept = kept + 1
	end
end

local highest = 0
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
		highest = math.max(highest, tonumber(ARGV[i + 3]))
	end
end
for _, q in ipairs(order) do account(q) end
if highest > 0 then raise(int(highest)) end
wake()
local answer = {kept, seen, gone}
for id, n in pairs(full) do
	answer[#answer + 1] = id
	answer[#answer + 1] = n
end
return answer
