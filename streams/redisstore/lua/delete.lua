-- ARGV from 6: stream, digest of the id. Its subjects are erased by the caller, in parts;
-- until then `gone` has it. Answer: 'none', or the owner.
local id = ARGV[6]
local q = open(id)
if not q then return answered('none') end
indexed(q, function(member) call('ZREM', P .. 'all', member) end)
drop(q, false)
call('UNLINK', q.dead, q.deads, q.health, q.doc)
q.CAUSE = false
account(q)
call('DEL', q.s)
for _, set in ipairs({'idle', 'ready', 'due'}) do call('ZREM', P .. set, id) end
call('SREM', P .. 'streams', id)
tell('s', id)
call('SADD', P .. 'used', ARGV[7])
local owner = q.S.ow
if call('HINCRBY', P .. 'owners', owner, -1) <= 0 then call('HDEL', P .. 'owners', owner) end
if call('EXISTS', q.subjects) == 1 then call('SADD', P .. 'gone', id) end
woken = {id}
wake()
return answered(owner)
