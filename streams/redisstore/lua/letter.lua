-- ARGV from 6: stream, jti, resend or drop. Answer: 'none' or 'ok'.
local q = open(ARGV[6])
local blob = q and call('HGET', q.dead, ARGV[7])
if not blob then
	if q then account(q) end
	return answered('none')
end
call('HDEL', q.dead, ARGV[7])
call('ZREM', q.deads, ARGV[7])
if ARGV[8] == 'resend' then
	-- It gives its order up and says so, and counts as added now, in the stream's epoch.
	local place, item, tries = unpack(cmsgpack.unpack(blob), 1, 3)
	item = 'r' .. sub(item, 2, 13) .. nanos() .. sub(item, 22, 33) .. struct.pack('>I8', tonumber(q.S.ep)) .. sub(item, 42)
	if sub(place, 1, 1) == '0' then
		arrive(q, item, sub(place, -1) == '1')
	else
		place = '1' .. sub(place, 2)
		keepSmall(q, place, item)
		park(q, place, '')
		q.CAUSE = true
	end
	if tries ~= '0' then call('HSET', q.tries, ARGV[7], tries) end
end
account(q)
wake()
return answered('ok')
