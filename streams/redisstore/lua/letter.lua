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
	local item = cmsgpack.unpack(blob)[1]
	local tries = item[TRIES]
	item[TRIES] = nil
	item[RESENT], item[KEY], item[ADDED], item[EPOCH] = '1', '', int(micros) .. '000', q.S.ep or '0'
	if item[LANE] == CONTROL then
		arrive(q, item)
	else
		local place = '1' .. sub(eventPlace(item[POS]), 2)
		keepSmall(q, place, item)
		park(q, place, '')
		q.CAUSE = true
	end
	if tries ~= '0' then call('HSET', q.tries, item[JTI], tries) end
end
account(q)
wake()
return answered('ok')
