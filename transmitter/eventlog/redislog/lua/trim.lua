-- Removes the bodies of records that are kept elsewhere. KEYS 1 head, 2 the list of what was erased, 3 the bodies
-- of a segment.
-- ARGV 1 the log's name, 2 the last record that is kept elsewhere, 3 the one before the segment's first, 4 the
-- channel to tell; then of each body its place in the segment.
-- Answer: how many were there, -1 for another log. Processes let go of them as of what is erased.
local MAXERASED = 1000
if redis.call('HGET', KEYS[1], 'name') ~= ARGV[1] then return -1 end
local n = 0
for i = 5, #ARGV do
	if redis.call('HDEL', KEYS[3], ARGV[i]) == 1 then
		redis.call('RPUSH', KEYS[2], string.format('%.0f', ARGV[3] + ARGV[i] + 1))
		n = n + 1
	end
end
if n > 0 then
	redis.call('HINCRBY', KEYS[1], 'erased', n)
	redis.call('LTRIM', KEYS[2], -MAXERASED, -1)
	redis.call('PUBLISH', ARGV[4], 'erased')
end
if tonumber(redis.call('HGET', KEYS[1], 'archived') or 0) <= tonumber(ARGV[2]) then
	redis.call('HSET', KEYS[1], 'archived', ARGV[2])
end
return n
