-- Answer: 'ok' or 'lost', and what told has.
return told(lost() and 'lost' or 'ok')
