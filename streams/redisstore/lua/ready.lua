-- ARGV from 6: how many. Answer: ms until something is due (-1: nothing is), '1' if there is
-- more to look at now, and the streams that have work that is due.
local max, looks = tonumber(ARGV[6]), 256
for _, id in ipairs(call('ZRANGE', P .. 'due', '-inf', int(now), 'BYSCORE', 'LIMIT', 0, looks)) do
	local q = open(id)
	if q then
		q.CAUSE = true
		account(q)
	else
		call('ZREM', P .. 'due', id)
	end
end
local ids, more = {}, ''
for _, id in ipairs(call('ZRANGE', P .. 'ready', 0, looks - 1)) do
	if #ids >= max then break end
	call('ZREM', P .. 'ready', id)
	local q = open(id)
	if q and q.S.pu == '1' and not backsOff(q) then
		local any = available(q)
		if not any and q.LATE then any = nil end
		q.CAUSE = any == nil
		account(q)
		if any then
			ids[#ids + 1] = id
		elseif any == nil then
			more = '1'
		end
	elseif q then
		q.CAUSE = false
		account(q)
	end
end
wake()
local soonest = call('ZRANGE', P .. 'due', 0, 0, 'WITHSCORES')[2]
local wait = soonest and int(math.max(tonumber(soonest) - now, 0)) or '-1'
if call('EXISTS', P .. 'ready') == 1 then more = '1' end
if #ids == 0 then return {wait, more, ids} end
return answered({wait, more, ids})
