-- Keeps a value in place of another, and tells the processes.
-- KEYS: value   ARGV: the one that is to be there (empty: none), the next, the channel of
-- wake-ups, and what is said there.
-- Answer: 1 if it is kept, also by a call that is repeated; 0 if another is there.
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] and now ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
