-- Compares and appends. KEYS from 5: turn, ids, order, refs; then of each segment that is written
-- its rows and its bodies; then the nodes' tiles.
-- ARGV from 5: the process's token, how long a turn is kept for it (ms), the channel to tell,
-- the new size, the last leaf, the time of the new records, the time up to which ids are forgotten;
-- the keys of sources' ids and what is kept of them, the refs, each as one string;
-- the number of segments, of each: place of its first row in bytes, its rows, the number of its bodies, those;
-- of each node: its place in bytes, the hash.
-- Codes: 'ok'; 'lost'; 'conflict', the log has grown; 'turn', another process is to append first;
-- 'known', with the number in keys and the value of each id that is known already.
local TURN, IDS, ORDER, REFS = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local KEY, VALUE, REF, CHUNK = 16, 28, 25, 128
local token, channel, keys, values, refs = ARGV[5], ARGV[7], ARGV[12], ARGV[13], ARGV[14]
local millis, cutoff = ARGV[10], tonumber(ARGV[11])

if lost() then return told('lost') end
local turn = redis.call('GET', TURN)
if turn and turn ~= token then
	-- It may be a call that is repeated, and what it wrote is behind what it knows: see redisdb.Write.
	if size ~= known then redis.call('HSET', KEYS[1], 'repeated', millis) end
	return told('turn')
end
if size ~= known then
	redis.call('SET', TURN, token, 'PX', ARGV[6])
	return told('conflict')
end

-- when returns the time that ends a value, or an item of the order.
local function when(s) return (struct.unpack('>I6', s, #s - 5)) end

local function part(s, width, i) return string.sub(s, (i - 1) * width + 1, i * width) end

local count, seen = #keys / KEY, {}
for from = 1, count, CHUNK do
	local some = {}
	for i = from, math.min(from + CHUNK - 1, count) do some[#some + 1] = part(keys, KEY, i) end
	for i, value in ipairs(redis.call('HMGET', IDS, unpack(some))) do
		if value and when(value) > cutoff then
			seen[#seen + 1] = from + i - 2
			seen[#seen + 1] = value
		end
	end
end
if #seen > 0 then
	redis.call('HSET', KEYS[1], 'repeated', millis) -- see redisdb.Write: what is known was written before this
	return told('known', seen)
end

local next = 15
local function arg() next = next + 1; return ARGV[next - 1] end
local key = 9
for _ = 1, tonumber(arg()) do
	local at, rows, bodies = arg(), arg(), tonumber(arg())
	local first = at / ROW
	redis.call('SETRANGE', KEYS[key], at, rows)
	if first + bodies == SEGMENT then redis.call('SET', KEYS[key], redis.call('GET', KEYS[key])) end -- no room behind it
	for i = first, first + bodies - 1 do redis.call('HSET', KEYS[key + 1], i, arg()) end
	key = key + 2
end
for k = key, #KEYS do redis.call('SETRANGE', KEYS[k], arg(), arg()) end

for i = 1, count do
	local id, value = part(keys, KEY, i), part(values, VALUE, i)
	redis.call('HSET', IDS, id, value)
	redis.call('RPUSH', ORDER, id .. string.sub(value, -6))
end
for i = 1, #refs / REF do redis.call('ZADD', REFS, 0, part(refs, REF, i)) end

local old = redis.call('LRANGE', ORDER, 0, 2 * count + 1)
local ended = 0
for _, item in ipairs(old) do
	if when(item) > cutoff then break end
	local id = string.sub(item, 1, KEY)
	local value = redis.call('HGET', IDS, id)
	if value and when(value) <= cutoff then redis.call('HDEL', IDS, id) end
	ended = ended + 1
end
if ended > 0 then redis.call('LTRIM', ORDER, ended, -1) end

redis.call('HSET', KEYS[1], 'size', ARGV[8], 'leaf', ARGV[9], 'millis', millis)
if turn then redis.call('DEL', TURN) end
redis.call('PUBLISH', channel, ARGV[8])
return told('ok')
