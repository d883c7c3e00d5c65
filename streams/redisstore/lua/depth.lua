-- ARGV from 6: stream. Answer: 'none', or items, leased, dead, when the oldest was added (8 bytes, ns).
local q = open(ARGV[6])
if not q then return 'none' end
account(q)
wake()
return {q.S.ni or '0', q.S.nl or '0', q.S.nd or '0', oldestAt(q)}
