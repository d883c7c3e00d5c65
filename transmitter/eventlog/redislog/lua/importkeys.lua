-- Takes in the memory of sources' ids, in the order of their events. KEYS 1 head, 2 ids, 3 order.
-- ARGV 1 the log's name, 2 the keys, 3 what is kept of them, each as one string.
-- Answer: 'ok', or 'lost' for another log.
local KEY, VALUE = 16, 28
if redis.call('HGET', KEYS[1], 'name') ~= ARGV[1] then return 'lost' end
redis.call('HSET', KEYS[1], 'imported', redis.call('HGET', KEYS[1], 'size')) -- see redisdb.Write
local function place(value) return (struct.unpack('>I6', value, 17)) end
for i = 1, #ARGV[2] / KEY do
	local id, value = string.sub(ARGV[2], (i - 1) * KEY + 1, i * KEY), string.sub(ARGV[3], (i - 1) * VALUE + 1, i * VALUE)
	local had = redis.call('HGET', KEYS[2], id)
	if not had or place(had) < place(value) then
		redis.call('HSET', KEYS[2], id, value)
		redis.call('RPUSH', KEYS[3], id .. string.sub(value, -6))
	end
end
return 'ok'
