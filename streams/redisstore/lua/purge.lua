-- ARGV from 6: stream. Answer: 'none', or how many items were dropped.
local q = open(ARGV[6])
if not q then return answered('none') end
local n = drop(q, false)
account(q)
return answered(int(n))
