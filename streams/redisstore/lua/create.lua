-- ARGV from 6: stream, owner, digest of the id, the call, when (ms) a place was reserved with the
-- owner and for how long that counts, the document, then the facts (registry.lua).
-- Answer: ok; exists; late: the reservation may be taken for one that was given up.
local id, owner, used, mine = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local state = P .. 's:' .. id
written()
if call('EXISTS', state) == 1 then
	return call('HGET', state, 'uc') == mine and 'ok' or 'exists'
end
if call('SISMEMBER', P .. 'used', used) == 1 then return 'exists' end
if servertime - tonumber(ARGV[10]) > tonumber(ARGV[11]) then return 'late' end
call('HSET', state, 'v', 1, 'uc', mine, 'ow', owner, 'er', era)
call('SET', P .. 'doc:' .. id, ARGV[12])
call('SADD', P .. 'streams', id)
call('HINCRBY', P .. 'owners', owner, 1)
local q = open(id)
describe(q, 13)
account(q)
return 'ok'
