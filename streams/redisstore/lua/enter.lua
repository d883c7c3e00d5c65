-- ARGV from 6: name of a process. What one of that name had taken before returns to its
-- place. Answer: how many of that name there were.
local n = call('HINCRBY', P .. 'nodes', ARGV[6], 1)
begin()
return answered(n)
