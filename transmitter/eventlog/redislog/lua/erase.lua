-- Erases records. KEYS 1 head, 2 the list of what was erased, 3 the answer, which a repeated call gets again;
-- then the bodies of segments.
-- ARGV 1 the log's name, 2 the answer's life in ms, 3 the channel to tell; then of each record the
-- number of its segment among KEYS, its place in it, its sequence number.
-- Answer: how many were erased, -1 for another log.
local MAXERASED = 1000
local before = redis.call('GET', KEYS[3])
if before then
	redis.call('PEXPIRE', KEYS[3], ARGV[2]) -- see redisdb.Write: what it tells of was written before this
	return tonumber(before)
end
if redis.call('HGET', KEYS[1], 'name') ~= ARGV[1] then return -1 end
local n = 0
for i = 4, #ARGV, 3 do
	if redis.call('HDEL', KEYS[ARGV[i] + 3], ARGV[i + 1]) == 1 then
		redis.call('RPUSH', KEYS[2], ARGV[i + 2])
		n = n + 1
	end
end
redis.call('SET', KEYS[3], n, 'PX', ARGV[2])
if n > 0 then
	redis.call('HINCRBY', KEYS[1], 'erased', n)
	redis.call('LTRIM', KEYS[2], -MAXERASED, -1)
	redis.call('PUBLISH', ARGV[3], 'erased')
end
return n
