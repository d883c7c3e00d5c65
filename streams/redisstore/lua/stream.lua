-- ARGV from 6: stream. Answer: 'none', or version, activity (ns), document, health (empty:
-- healthy), the call that made the version.
local state = call('HMGET', P .. 's:' .. ARGV[6], 'v', 'ac', 'uc')
if not state[1] then return 'none' end
return {state[1], state[2] or '0', call('GET', P .. 'doc:' .. ARGV[6]), call('GET', P .. 'health:' .. ARGV[6]) or '', state[3] or ''}
