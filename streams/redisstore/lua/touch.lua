-- ARGV from 6: stream and time of activity (ns), in turn. The later one counts.
for i = 6, #ARGV, 2 do
	local state = P .. 's:' .. ARGV[i]
	local facts = call('HMGET', state, 'st', 'ac', 'to', 'by')
	local at = ARGV[i + 1]
	if facts[1] and tonumber(facts[2] or 0) < tonumber(at) then
		call('HSET', state, 'ac', at)
		watch({ID = ARGV[i], S = {st = facts[1], ac = at, to = facts[3] or '0', by = facts[4]}})
	end
end
return 'ok'
