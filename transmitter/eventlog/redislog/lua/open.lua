-- Makes the log unless there is one, and returns what it is.
-- KEYS 1 head. ARGV 1 version of the format, 2 name, 3 key of ids, 4 secret of keys, 5 leaf of an empty log.
if redis.call('HSETNX', KEYS[1], 'version', ARGV[1]) == 1 then
	redis.call('HSET', KEYS[1], 'name', ARGV[2], 'id_key', ARGV[3], 'secret', ARGV[4],
		'size', 0, 'leaf', ARGV[5], 'millis', 0, 'erased', 0)
end
redis.call('HSET', KEYS[1], 'opened', redis.call('TIME')[1]) -- see redisdb.Write: the log may be of before
return redis.call('HMGET', KEYS[1], 'version', 'name', 'id_key', 'secret', 'size', 'leaf', 'millis', 'erased', 'lost')
