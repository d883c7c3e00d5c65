-- Takes in keys of entries. KEYS 1 head, 2 refs. ARGV 1 the log's name, 2 the refs as one string.
-- Answer: 'ok', or 'lost' for another log.
local REF = 25
if redis.call('HGET', KEYS[1], 'name') ~= ARGV[1] then return 'lost' end
for i = 1, #ARGV[2] / REF do redis.call('ZADD', KEYS[2], 0, string.sub(ARGV[2], (i - 1) * REF + 1, i * REF)) end
redis.call('HSET', KEYS[1], 'imported', redis.call('HGET', KEYS[1], 'size')) -- see redisdb.Write
return 'ok'
