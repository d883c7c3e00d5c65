-- ARGV from 6: stream, then for each item: lane (0 events, r resent, 1 control, u control and
-- stream-updated), id (SEQ-N), place without lane, item, attempts. What waits already is
-- left out, so a repeat does no harm. Answer: none, ok.
written()
local q = open(ARGV[6])
if not q then return 'none' end
for i = 7, #ARGV, 5 do
	local lane, at, item = ARGV[i], ARGV[i + 2], ARGV[i + 3]
	local jti = jtiOf(item)
	if call('HEXISTS', q.ids, jti) == 0 then
		if lane == '0' then
			call('HSET', q.ids, jti, '2' .. at)
			call('XADD', q.q, ARGV[i + 1], 'i', item)
			local ref = refOf('2' .. at, item)
			if ref then call('ZADD', q.ref, 0, ref) end
		elseif lane == 'r' then
			keepSmall(q, '1' .. at, item)
			park(q, '1' .. at, '')
		else
			arrive(q, item, lane == 'u')
		end
		if ARGV[i + 4] ~= '0' then call('HSET', q.tries, jti, ARGV[i + 4]) end
	end
end
q.CAUSE = true
account(q)
return 'ok'
