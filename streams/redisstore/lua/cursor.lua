-- ARGV from 6: follower, seq. A repeat does no harm. Answer: 'ok'.
call('HSET', P .. 'cursors', ARGV[6], ARGV[7])
raise(ARGV[7])
return 'ok'
