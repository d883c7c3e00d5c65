-- ARGV from 6: stream, then subjects (subject.lua). A repeat does no harm. Answer: none, ok.
written()
local q = open(ARGV[6])
if not q then return 'none' end
local i = 7
while i <= #ARGV do
	local member = ARGV[i] .. ARGV[i + 1]
	if call('SADD', q.subjects, member) == 1 then
		if ARGV[i + 2] ~= '' then countNames(ARGV[i + 2], 1, q.S.ow) end
		members(q.ID, i, function(m) call('ZADD', P .. 'match', 0, m) end)
		counted(q, ARGV[i], 1)
		tellSubject('+', q.ID, i)
	end
	i = behind(i)
end
account(q)
return 'ok'
