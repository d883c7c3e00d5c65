-- ARGV from 6: stream, then subjects (subject.lua), which are erased. The stream may be
-- gone. Answer: how many were there.
written()
local id, n, i = ARGV[6], 0, 7
local q = open(id)
while i <= #ARGV do
	if erase(id, i) then
		n = n + 1
		if q then -- else it was told that the stream is gone
			counted(q, ARGV[i], -1)
			tellSubject('-', id, i)
		end
	end
	i = behind(i)
end
if q then
	account(q)
elseif call('EXISTS', P .. 'subjects:' .. id) == 0 then
	call('SREM', P .. 'gone', id)
end
return answered(n)
