-- A pause before each request, in milliseconds, so that all servers get the same number of requests a second.
function delay()
    return math.random(pause / 2, pause * 3 / 2)
end
