-- ARGV from 6: stream, owner, digest of the id, the document, highest position, highest ref
-- ('': none), its sequence number, the health (empty: a healthy stream), ms until it is due,
-- then the facts (registry.lua). A repeat does no harm.
-- Answer: ok; exists.
local id, owner, document = ARGV[6], ARGV[7], ARGV[9]
local state = P .. 's:' .. id
written()
if call('EXISTS', state) == 1 then
	return call('GET', P .. 'doc:' .. id) == document and 'ok' or 'exists'
end
if call('SISMEMBER', P .. 'used', ARGV[8]) == 1 then return 'exists' end
call('HSET', state, 'v', 1, 'uc', 'import', 'ow', owner, 'er', era)
call('SET', P .. 'doc:' .. id, document)
call('SADD', P .. 'streams', id)
call('HINCRBY', P .. 'owners', owner, 1)
local q = open(id)
set(q, 'hi', ARGV[10])
if ARGV[11] ~= '' then set(q, 'rf', ARGV[11]) end
raise(ARGV[12])
if ARGV[13] ~= '' then
	call('SET', q.health, ARGV[13])
	local due = tonumber(ARGV[14])
	set(q, 'du', due > 0 and int(later + due) or '0')
end
describe(q, 15)
account(q)
return 'ok'
