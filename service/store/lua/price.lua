-- The price that was learnt for a prefix or a country.
-- keys: price
-- args:
-- reply: ok micros
return { 'ok', redis.call('GET', price) or '' }
