-- Sends a dead letter again, or drops it.
-- ARGV from 5: identity, 'resend' or 'drop'.   Answer: ok or unknown.
local before = repeated()
if before then return before end

local found = redis.call('ZRANGE', DEADIDS, '[' .. ARGV[5] .. ':', '[' .. ARGV[5] .. ';', 'BYLEX', 'LIMIT', 0, 1)[1]
if not found then return 'unknown' end
local seq = string.sub(found, #ARGV[5] + 2)
if ARGV[6] == 'resend' then
	local letter = redis.call('HGET', DEAD, seq)
	local size, at = string.match(letter, '^%d+ %d+ (%d+) ()')
	local blob = string.sub(letter, at + size)
	arrive(blob, string.match(blob, '^%d+'), '')
	tell()
end
redis.call('HDEL', DEAD, seq)
redis.call('ZREM', DEADS, seq)
redis.call('ZREM', DEADIDS, found)
return answered('ok')
