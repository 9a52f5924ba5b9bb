-- Through which sender the code came that a person proved last.
-- keys: last_sender
-- args:
-- reply: ok sender
return { 'ok', redis.call('GET', last_sender) or '' }
