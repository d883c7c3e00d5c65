-- ARGV from 6: stream, lease (ms), then jtis. Answer: 'none' or 'ok'.
local q = open(ARGV[6])
if not q then return 'none' end
for i = 8, #ARGV do
	local place = call('HGET', q.ids, ARGV[i])
	if place then call('ZADD', q.out, 'XX', int(later + tonumber(ARGV[7])), place) end
end
account(q)
wake()
return 'ok'
