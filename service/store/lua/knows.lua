-- Whether a recipient was approved for the app before.
-- keys: known
-- args:
-- reply: yes | no
return { redis.call('EXISTS', known) == 1 and 'yes' or 'no' }
