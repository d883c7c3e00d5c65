-- Takes records in as they are. KEYS from 5: of each segment that is written its rows and its bodies;
-- then the nodes' tiles.
-- ARGV from 5: the new size, the last leaf, its time; the number of segments, of each: place of its first
-- row in bytes, its rows, the number of its bodies, those, empty where a record is erased; of each node:
-- its place in bytes, the hash.
-- Codes: 'ok'; 'lost'; 'conflict', the log has grown.
if lost() then return told('lost') end
redis.call('HSET', KEYS[1], 'imported', ARGV[5]) -- see redisdb.Write: what is there was written before this
if size ~= known then return told('conflict') end
local next = 8
local function arg() next = next + 1; return ARGV[next - 1] end
local key = 5
for _ = 1, tonumber(arg()) do
	local at, rows, bodies = arg(), arg(), tonumber(arg())
	local first = at / ROW
	redis.call('SETRANGE', KEYS[key], at, rows)
	if first + bodies == SEGMENT then redis.call('SET', KEYS[key], redis.call('GET', KEYS[key])) end -- no room behind it
	for i = first, first + bodies - 1 do
		local body = arg()
		if body ~= '' then redis.call('HSET', KEYS[key + 1], i, body) end
	end
	key = key + 2
end
for k = key, #KEYS do redis.call('SETRANGE', KEYS[k], arg(), arg()) end
redis.call('HSET', KEYS[1], 'size', ARGV[5], 'leaf', ARGV[6], 'millis', ARGV[7])
return told('ok')
