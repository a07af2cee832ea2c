"""Names for runs that nobody named: two words, easy to say and to tell apart."""

_FIRST = """
able agile alert amber ample azure bold brave bright brisk bronze calm candid careful cheerful clear clever coastal copper coral
cosmic crimson crisp curious dapper daring deft devoted diligent eager early earnest easy elegant emerald exact fair famous fast
fearless fine fleet fluent fond frank free fresh gentle gilded glad golden graceful grand grateful green happy hardy hasty hearty
helpful honest humble indigo ivory jade jaunty jolly jovial joyful keen kind lavender light lively loyal lucid lucky lunar mellow
merry mighty mild mint modest native neat nimble noble opal open orange patient peach placid plucky polite prime proud quick quiet
radiant rapid ready robust rosy royal ruby rustic sage scarlet serene sharp shiny silent silver sincere sleek smart smooth snug
solar solid sonic spry stable stellar sturdy subtle sunny swift teal tender tidy tranquil trusty upbeat valiant vast velvet vivid
warm wise witty young zealous zesty
"""
_SECOND = """
adder albatross alpaca anchovy ant antelope badger barbel barracuda bass bat beaver bee beetle bison bittern bobcat bream buffalo
bullfinch bunting butterfly buzzard caiman camel caracal carp cat catfish chaffinch chameleon cheetah chinchilla chipmunk cicada
clam cobra cod condor coot cormorant cougar coyote crab crane cricket crow cuckoo curlew deer dingo dipper dolphin donkey dormouse
dove dragonfly duck dunlin eagle eel egret eider elk emu ermine falcon ferret finch firefly flamingo fox frog gannet gazelle gecko
gibbon giraffe gnu goat goldfinch goose goshawk grayling grebe grouse gull haddock halibut hamster hare hawk hedgehog heron herring
heron hippo hobby hornet horse ibex ibis iguana impala jackal jackdaw jaguar jay kestrel kingfisher kite kiwi koala lamprey lapwing
lark lemming lemur leopard linnet lion lizard llama lobster loon lynx macaw mackerel magpie mallard manatee marlin marmot marten
martin meerkat merlin minnow mole mongoose moose moth mullet mussel newt nightjar nuthatch ocelot octopus okapi opossum orca oriole
osprey otter owl ox oyster panda panther parrot partridge peacock pelican perch petrel pheasant pigeon pike pipit plaice plover
pony porpoise puffin puma quail rabbit raccoon raven redstart robin roe rook ruff salamander salmon sandpiper sardine seal shark
sheep shrew shrike shrimp siskin skua skylark snail snipe sparrow spoonbill sprat squid squirrel starling stoat stork sturgeon
swallow swan swift tapir tench tern thrush tiger toad toucan trout tuna turbot turtle viper vole wagtail walrus warbler weasel
whale wolf wombat woodcock wren yak zander zebra
"""
FIRST = tuple(_FIRST.split())
SECOND = tuple(dict.fromkeys(_SECOND.split()))


def two_words(number: int) -> str:
    """The name for a random `number`: equal numbers, equal names."""
    first, rest = divmod(number, len(SECOND))
    return f"{FIRST[first % len(FIRST)]}-{SECOND[rest]}"
