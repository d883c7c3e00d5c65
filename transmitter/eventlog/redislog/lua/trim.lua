-- Removes the bodies of records that are kept elsewhere. KEYS 1 head; then the bodies of segments.
-- ARGV 1 the log's name, 2 the last record that is kept elsewhere; then of each body the number of its
-- segment among KEYS and its place in it.
-- Answer: how many were there, -1 for another log.
if redis.call('HGET', KEYS[1], 'name') ~= ARGV[1] then return -1 end
local n = 0
for i = 3, #ARGV, 2 do n = n + redis.call('HDEL', KEYS[ARGV[i] + 1], ARGV[i + 1]) end
if tonumber(redis.call('HGET', KEYS[1], 'archived') or 0) <= tonumber(ARGV[2]) then
	redis.call('HSET', KEYS[1], 'archived', ARGV[2])
end
return n
