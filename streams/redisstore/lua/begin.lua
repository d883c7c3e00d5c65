-- That its token is carried lets a holder begin (head.lua). Answer: 'ok'.
return 'ok'
