-- ARGV from 6: stream, then for each dead letter: jti, place, item, attempts, code, text, when (ns).
-- A repeat does no harm. Answer: none, ok.
written()
local q = open(ARGV[6])
if not q then return 'none' end
for i = 7, #ARGV, 7 do
	if call('HEXISTS', q.dead, ARGV[i]) == 0 then
		local n = num(q, 'dn') + 1
		set(q, 'dn', int(n))
		call('HSET', q.dead, ARGV[i], cmsgpack.pack({unpack(ARGV, i + 1, i + 6)}))
		call('ZADD', q.deads, int(n), ARGV[i])
	end
end
account(q)
return 'ok'
