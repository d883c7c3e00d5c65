-- KEYS: the lease. ARGV: holder, milliseconds, the call. Returns the token, 0 if another has
-- it. A repeat of the call is told the same; another call of the holder, which does not know
-- of the lease any more, takes it anew.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'holder', 'token', 'until', 'call')
local token, ends = tonumber(lease[2] or 0), tonumber(lease[3] or 0)
if ends > now and lease[1] ~= ARGV[1] then return 0 end
if ends <= now or lease[4] ~= ARGV[3] then token = math.max(token + 1, now) end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', string.format('%.0f', token),
	'until', string.format('%.0f', now + ARGV[2]), 'call', ARGV[3])
return token
