-- Keeps an act, and forgets what is too old or too much.
-- KEYS: seq, acts, index, and that of the answer, which a repeated call gets again.
-- ARGV: the time in ms (empty: the server's), the answer's life (ms), how many acts there
-- may be, how long each is kept (ms), how many may go, digests of the act's keys with
-- commas between (the first is that of all acts), the act.
-- Answer: its place.
local SEQ, ACTS, INDEX, ANSWER = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('PEXPIRE', ANSWER, ARGV[2]) == 1 then return redis.call('GET', ANSWER) end -- it writes: replicas are waited for

local function int(n) return string.format('%.0f', n) end

local now = tonumber(ARGV[1])
if not now then
	local t = redis.call('TIME')
	now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local most, remember, names = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[6]

-- An act is kept as: time names JSON.
local seq = string.format('%016d', redis.call('INCR', SEQ))
redis.call('HSET', ACTS, seq, int(now) .. ' ' .. names .. ' ' .. ARGV[7])
for name in string.gmatch(names, '[^,]+') do redis.call('ZADD', INDEX, 0, name .. ':' .. seq) end

local all = string.match(names, '^[^,]+')
for _ = 1, tonumber(ARGV[5]) do
	local first = redis.call('ZRANGE', INDEX, '[' .. all .. ':', '(' .. all .. ';', 'BYLEX', 'LIMIT', 0, 1)[1]
	local old = string.sub(first, -16)
	local at, of = string.match(redis.call('HGET', ACTS, old), '^(%d+) (%S+) ')
	if redis.call('HLEN', ACTS) <= most and tonumber(at) >= now - remember then break end
	for name in string.gmatch(of, '[^,]+') do redis.call('ZREM', INDEX, name .. ':' .. old) end
	redis.call('HDEL', ACTS, old)
end

-- Where nothing is noted any more all of it ends.
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], int(remember + 86400000)) end
redis.call('SET', ANSWER, seq, 'PX', ARGV[2])
return seq
